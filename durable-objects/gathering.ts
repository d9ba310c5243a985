/**
 * Asks of many callers, sent on together: while one call is on its way the next ones wait and go with the call after
 * it, so a caller waits for at most one call that is not its own, and nobody waits for company. Bounded in number and
 * weight. Pure.
 */

export interface GatheringPorts<Ask, Answer> {
  weigh(ask: Ask): number;
  /** one answer for each ask, in order */
  send(asks: Ask[]): Promise<Answer[]>;
  /** of one call; a single ask may weigh more */
  call: { asks: number; weight: number };
  /** of what waits */
  waiting: { asks: number; weight: number };
}

interface Waiter<Ask, Answer> {
  ask: Ask;
  weight: number;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

export class Gathering<Ask, Answer> {
  readonly #ports: GatheringPorts<Ask, Answer>;
  #waiters: Waiter<Ask, Answer>[] = [];
  #weight = 0;
  #sending = false;

  constructor(ports: GatheringPorts<Ask, Answer>) {
    this.#ports = ports;
  }

  /** The answer to an ask, or nothing where too much waits already; it fails as the call that it went with. */
  add(ask: Ask): Promise<Answer> | undefined {
    const { weigh, waiting } = this.#ports;
    const weight = weigh(ask);
    if (this.#waiters.length >= waiting.asks || this.#weight + weight > waiting.weight) return undefined;
    const answer = new Promise<Answer>((resolve, reject) => {
      this.#waiters.push({ ask, weight, resolve, reject });
    });
    this.#weight += weight;
    if (!this.#sending) void this.#send();
    return answer;
  }

  async #send(): Promise<void> {
    this.#sending = true;
    while (this.#waiters.length > 0) {
      const together = this.#take();
      try {
        const answers = await this.#ports.send(together.map(({ ask }) => ask));
        if (!Array.isArray(answers) || answers.length !== together.length)
          throw new Error("not an answer for each ask");
        for (const [i, { resolve }] of together.entries()) resolve(answers[i]!);
      } catch (error) {
        for (const { reject } of together) reject(error);
      }
    }
    this.#sending = false;
  }

  #take(): Waiter<Ask, Answer>[] {
    const { asks, weight } = this.#ports.call;
    let [end, sum] = [0, 0];
    for (const waiter of this.#waiters.slice(0, asks)) {
      if (end > 0 && sum + waiter.weight > weight) break;
      end += 1;
      sum += waiter.weight;
    }
    this.#weight -= sum;
    return this.#waiters.splice(0, end);
  }
}
