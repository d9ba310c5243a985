/** Work that is never under way twice: whoever comes meanwhile waits for the run that goes on. */
export class OneRun {
  #running: Promise<void> | undefined;

  get running(): boolean {
    return this.#running !== undefined;
  }

  run(work: () => Promise<void>): Promise<void> {
    this.#running ??= work().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }
}
