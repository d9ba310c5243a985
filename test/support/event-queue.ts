/** Events of a simulation in the order of their times; of equal times, in the order in which they were planned. */
export interface Planned<T> {
  at_ms: number;
  order: number;
  what: T;
}

export class EventQueue<T> {
  readonly #heap: Planned<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  plan(at_ms: number, what: T): void {
    const heap = this.#heap;
    let at = heap.push({ at_ms, order: this.#order++, what }) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent]!, heap[at]!)) break;
      [heap[parent], heap[at]] = [heap[at]!, heap[parent]!];
      at = parent;
    }
  }

  next(): Planned<T> | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    heap[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < heap.length && before(heap[left]!, heap[least]!)) least = left;
      if (right < heap.length && before(heap[right]!, heap[least]!)) least = right;
      if (least === at) return first;
      [heap[least], heap[at]] = [heap[at]!, heap[least]!];
      at = least;
    }
  }
}

const before = <T>(a: Planned<T>, b: Planned<T>): boolean =>
  a.at_ms < b.at_ms || (a.at_ms === b.at_ms && a.order < b.order);
