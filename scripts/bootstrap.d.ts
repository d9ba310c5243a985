export declare const root: string;
export declare function ensureInstalled(): void;
export declare function toolEnv(extra?: Record<string, string>): NodeJS.ProcessEnv;
export declare function continueIn(script: string): void;
