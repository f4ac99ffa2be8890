/** A parser for `text/event-stream` (HTML §9.2.6), because EventSource cannot send a token. Pure. */

export class ServerSentEvents {
  #rest = "";
  #event = "";
  #data = [];

  /**
   * The events that are complete with this piece of text.
   *
   * @param {string} text any cut of the stream, decoded
   * @returns {{event: string, data: string}[]}
   */
  push(text) {
    const events = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) events.push({ event: this.#event || "message", data: this.#data.join("\n") });
        this.#event = "";
        this.#data = [];
        continue;
      }
      const [, name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (name === "data") this.#data.push(value ?? "");
      else if (name === "event") this.#event = value ?? "";
    }
    return events;
  }
}
