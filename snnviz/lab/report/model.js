// What stands in a file where the lab has the kernel's model: values by name, and who hears of them.

export class PlainModel {
  constructor(values) {
    this.values = values;
    this.heard = new Map(); // event -> functions
  }

  get(name) {
    return this.values[name];
  }

  set(name, value) {
    if (this.values[name] === value) return;
    this.values[name] = value;
    for (const event of [`change:${name}`, "change"])
      for (const act of [...(this.heard.get(event) ?? [])]) act();
  }

  on(event, act) {
    if (!this.heard.has(event)) this.heard.set(event, new Set());
    this.heard.get(event).add(act);
  }

  off(event, act) {
    this.heard.get(event)?.delete(act);
  }

  save_changes() {} // there is nobody to send them to
}
