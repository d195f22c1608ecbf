// Small helpers around the DOM. Text from the service is only ever set as text.

export const byId = (id) => document.getElementById(id);

export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

// Only what differs is touched, so that screen readers hear each change once.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

export function button(text, onClick, className = "") {
  const element = make("button", className, text);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

export function glyph(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "glyph");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  const set = (next) => {
    const target = `#glyph-${next}`;
    if (use.getAttribute("href") !== target) use.setAttribute("href", target);
  };
  set(name);
  return { svg, set };
}

// One child for each item, kept as long as the item is there: focus and open menus survive a refresh.
export function keyed(container, items, keyOf, create, update) {
  const old = new Map([...container.children].map((child) => [child.dataset.key, child]));
  let previous = null;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = old.get(key);
    old.delete(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    const place = previous ? previous.nextSibling : container.firstChild;
    if (child !== place) container.insertBefore(child, place);
    update(child, item);
    previous = child;
  }
  for (const child of old.values()) child.remove();
}
