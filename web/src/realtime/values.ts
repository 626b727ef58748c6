import type { Values } from "./links";

/** `NAME=VALUE` lines as values; other lines are passed over. */
export function readValues(text: string): Values {
  const pairs = text.split("\n").flatMap((line) => {
    const [, name, value] = /^\s*([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    return name && value ? [[name, value] as const] : [];
  });
  return Object.fromEntries(pairs);
}
