// A computer whose clock is wrong: loaded before a script, as `node --require`.
const RealDate = Date;
const ahead = Number(process.env.CLOCK_AHEAD_SECONDS) * 1000;

globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length ? given : [RealDate.now() + ahead]));
  }

  static now() {
    return RealDate.now() + ahead;
  }
};
