/* Forms marked data-autosubmit send themselves when a choice changes, so that filters, orders and quantities need no
   button. What is typed (a price) is sent when the field is left. Without scripts the form's own button does it. */

const isWide = window.matchMedia("(min-width: 58.01rem)");

for (const form of document.querySelectorAll("form[data-autosubmit]")) {
  const filters = form.querySelector("details.filters");
  if (filters) {
    const fit = () => { if (isWide.matches) filters.open = true; };
    isWide.addEventListener("change", fit);
    fit();
  }
  form.addEventListener("change", (event) => {
    // On a phone people tick several filters, then press the button.
    if (event.target.closest("details.filters") && !isWide.matches) return;
    form.requestSubmit();
  });
  form.addEventListener("submit", () => {
    // Empty fields would only make the address longer.
    for (const field of form.querySelectorAll("input[type=number]")) field.disabled = field.value === "";
  });
}
window.addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form[data-autosubmit] input[type=number]")) field.disabled = false;
});
