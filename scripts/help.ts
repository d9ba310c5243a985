/** `--help` of commands that have few options: print the text and end, before anything is done. */
export function orHelp(text: string): void {
  if (!process.argv.slice(2).some((argument) => argument === "--help" || argument === "-h")) return;
  process.stdout.write(text);
  process.exit(0);
}
