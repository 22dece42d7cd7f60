/** Work in turns: for each key one thing at a time, in the order it came. */
export class Turns<K> {
  readonly #most: number;
  readonly #lines = new Map<K, { waiting: number; last: Promise<unknown> }>();

  /** @param most so many may wait for one key */
  constructor(most: number) {
    this.#most = most;
  }

  /** @returns what the work gave, or `undefined` when too many wait already and it was not begun */
  async take<T>(key: K, work: () => Promise<T>): Promise<T | undefined> {
    const line = this.#lines.get(key) ?? { waiting: 0, last: Promise.resolve() };
    if (line.waiting > this.#most) return undefined;
    this.#lines.set(key, line);
    line.waiting++;
    const mine = line.last.then(work);
    line.last = mine.catch(() => {}); // whoever comes next is not concerned
    try {
      return await mine;
    } finally {
      line.waiting--;
      if (line.waiting === 0) this.#lines.delete(key);
    }
  }
}
