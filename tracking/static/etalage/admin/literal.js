/**
 * Reads pushes as they stand in a page's source: `dataLayer.push({event: 'view_item', …})`, `gtag("event", "search", {…})`, a bare object.
 * Literals only, and nothing is ever run: the admin's policy forbids it, and a pasted text is not to be trusted.
 */

/** The calls in the text: `[{layer, pushed}]`; `layer` is null for a bare object. Throws SyntaxError with the line of the fault. */
export function readPushes(text, adobeName = "adobeDataLayer") {
  const reader = new Reader(text);
  const found = [];
  while (!reader.isAtEnd()) {
    const name = reader.readCallee();
    const isCall = reader.accept("(");
    if (name && !isCall) reader.fail(`a push such as dataLayer.push({…}), not ${name}`);
    const values = [reader.readValue()];
    while (isCall && reader.accept(",") && !reader.peeks(")")) values.push(reader.readValue());
    if (isCall) reader.expect(")");
    reader.accept(";");
    if (/(^|\.)gtag$/.test(name)) found.push({ layer: "google", pushed: values });
    else for (const pushed of values) found.push({ layer: name ? (name.includes(adobeName) ? "adobe" : "google") : null, pushed });
  }
  return found;
}

const SPACE = /(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y;
const WORD = /[\p{L}_$][\p{L}\p{N}_$]*/uy;
const NUMBER = /-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/iy;
const CONSTANTS = { true: true, false: false, null: null, undefined: undefined, NaN: null };
const ESCAPES = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", 0: "\0", "\n": "" };

class Reader {
  #text;
  #position = 0;

  constructor(text) {
    this.#text = text;
  }

  #match(pattern) {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#position += found.length;
    return found;
  }

  #skip() {
    this.#match(SPACE);
  }

  fail(expected) {
    const before = this.#text.slice(0, this.#position).split("\n");
    const there = this.#text.slice(this.#position, this.#position + 20).split("\n")[0];
    throw new SyntaxError(`Line ${before.length}: expected ${expected}${there ? `, found “${there}”` : ", found the end"}.`);
  }

  isAtEnd() {
    this.#skip();
    while (this.#text[this.#position] === ";") {
      this.#position += 1;
      this.#skip();
    }
    return this.#position >= this.#text.length;
  }

  peeks(sign) {
    this.#skip();
    return this.#text[this.#position] === sign;
  }

  accept(sign) {
    if (!this.peeks(sign)) return false;
    this.#position += 1;
    return true;
  }

  expect(sign) {
    if (!this.accept(sign)) this.fail(`“${sign}”`);
  }

  /** `window.dataLayer.push`, "" where there is a value instead. */
  readCallee() {
    this.#skip();
    const start = this.#position;
    const words = [this.#match(WORD)];
    while (words.at(-1) && this.accept(".")) words.push(this.#match(WORD));
    if (words[0] && !(words.length === 1 && words[0] in CONSTANTS)) return words.join(".");
    this.#position = start;
    return "";
  }

  readValue() {
    this.#skip();
    const sign = this.#text[this.#position];
    if (sign === "{") return this.#readObject();
    if (sign === "[") return this.#readArray();
    if (sign === '"' || sign === "'" || sign === "`") return this.#readText();
    const digits = this.#match(NUMBER);
    if (digits) return Number(digits);
    const word = this.#match(WORD);
    if (word in CONSTANTS) return CONSTANTS[word];
    this.#position -= word.length;
    return this.fail(word ? "a value: variables are not known here, write what they hold" : "a value");
  }

  #readObject() {
    const read = {};
    this.expect("{");
    while (!this.accept("}")) {
      this.#skip();
      const isQuoted = ['"', "'"].includes(this.#text[this.#position]);
      const key = isQuoted ? this.#readText() : this.#match(WORD) || this.#match(NUMBER) || this.fail("a name or “}”");
      this.expect(":");
      Object.defineProperty(read, key, { value: this.readValue(), configurable: true, enumerable: true, writable: true });
      if (!this.accept(",") && !this.peeks("}")) this.fail("“,” or “}”");
    }
    return read;
  }

  #readArray() {
    const read = [];
    this.expect("[");
    while (!this.accept("]")) {
      read.push(this.readValue());
      if (!this.accept(",") && !this.peeks("]")) this.fail("“,” or “]”");
    }
    return read;
  }

  #readText() {
    const quote = this.#text[this.#position];
    const start = this.#position;
    let read = "";
    for (this.#position += 1; this.#text[this.#position] !== quote; this.#position += 1) {
      const sign = this.#text[this.#position];
      if (sign === undefined || (sign === "\n" && quote !== "`")) {
        this.#position = start;
        this.fail(`a text that ends with ${quote}`);
      }
      if (quote === "`" && sign === "$" && this.#text[this.#position + 1] === "{") this.fail("a text without variables");
      read += sign === "\\" ? this.#readEscape() : sign;
    }
    this.#position += 1;
    return read;
  }

  #readEscape() {
    this.#position += 1;
    const sign = this.#text[this.#position];
    const digits = { u: 4, x: 2 }[sign];
    if (!digits) return ESCAPES[sign] ?? sign;
    const code = this.#text.slice(this.#position + 1, this.#position + 1 + digits);
    if (!/^[\da-f]+$/i.test(code) || code.length < digits) this.fail(`${digits} hexadecimal digits after \\${sign}`);
    this.#position += digits;
    return String.fromCharCode(parseInt(code, 16));
  }
}
