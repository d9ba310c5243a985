/** Work on many things, a few at once: each begins when its turn comes, and a failure ends it all. */
export async function atOnce<T>(many: number, items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const turns = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let turn = turns.next(); turn.done !== true; turn = turns.next()) await work(turn.value); // one list for all
  };
  await Promise.all(Array.from({ length: many }, worker));
}
