/**
 * Where the agents and handoffs of a scenario are drawn: in layers, by the method of Sugiyama. Pure.
 *
 * Agents stand in even ranks, the labels of their handoffs in the odd ranks between, and a handoff that passes other
 * agents has a place in each of their ranks. `along` is the direction in which the conversation goes on, `across` the
 * other one; the caller of this says which is x.
 */

import type { Graph } from "./graph";

export type Size = { along: number; across: number };
export type Spot = { along: number; across: number };
/** A handoff's way: from its agent by its label to the other. */
export type Route = { key: string; points: Spot[]; label: Spot };
export type Layout = { agents: Spot[]; routes: Route[]; size: Size };

export type Sizes = { agent: Size; label: Size; gapAlong: number; gapAcross: number };

type Item = { rank: number; across: number; half: number; near: Item[]; agent: number | null };
type Chain = { key: string; items: Item[]; label: Item; isReversed: boolean };

const SWEEPS = 12;
const THIN = 6;

/** Places for all agents and handoffs; spots are centres. */
export function layout(graph: Graph, sizes: Sizes): Layout {
  const layers = layersOf(graph);
  const agents = layers.map((layer, agent) => item(2 * layer, sizes.agent.across, agent));
  const chains = chainsOf(graph, agents, sizes);
  const items = [...agents, ...chains.flatMap(({ items: own }) => own.filter((each) => each.agent === null))];
  const ranks = ranked(items);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) order(sweep % 2 === 0 ? ranks : ranks.toReversed());
  place(ranks, sizes);
  return drawn(agents, chains, ranks, sizes);
}

/** The layer of each agent: behind all that hand over to it, handoffs that lead back left aside. */
export function layersOf({ agents, edges }: Graph): number[] {
  const forward = forwardEdges(agents.length, edges);
  const isReached = new Set([0, ...forward.map(([, to]) => to)]);
  // Only a handoff from anyone leads to the others: they stand beside the first that are handed over to.
  const layers = agents.map((_, agent): number => (isReached.has(agent) ? 0 : 1));
  // As often as there are agents: no way is longer.
  for (let round = 0; round < agents.length; round += 1) {
    for (const [from, to] of forward) layers[to] = Math.max(layers[to] ?? 0, (layers[from] ?? 0) + 1);
  }
  return layers;
}

/** The edges as pairs that hold no circle: those that lead back are turned round. */
function forwardEdges(count: number, edges: Graph["edges"]): [number, number][] {
  const state = new Array<"new" | "open" | "done">(count).fill("new");
  const back = new Set<string>();
  const visit = (agent: number): void => {
    state[agent] = "open";
    for (const { from, to } of edges) {
      if (from !== agent || to === agent) continue;
      if (state[to] === "open") back.add(`${from}-${to}`);
      else if (state[to] === "new") visit(to);
    }
    state[agent] = "done";
  };
  for (let agent = 0; agent < count; agent += 1) if (state[agent] === "new") visit(agent);
  const others = edges.filter(({ from, to }) => from !== to);
  return others.map(({ from, to }) => (back.has(`${from}-${to}`) ? [to, from] : [from, to]));
}

function item(rank: number, size: number, agent: number | null): Item {
  return { rank, across: 0, half: size / 2, near: [], agent };
}

function chainsOf({ edges }: Graph, agents: readonly Item[], sizes: Sizes): Chain[] {
  return edges.flatMap(({ key, from, to }): Chain[] => {
    const [source, target] = [agents[from], agents[to]];
    if (!source || !target || source === target) return [];
    const isReversed = target.rank < source.rank;
    const [first, last] = isReversed ? [target, source] : [source, target];
    const items = [first];
    // The label stands beside the agent that hands over.
    const labelRank = isReversed ? last.rank - 1 : first.rank + 1;
    for (let rank = first.rank + 1; rank < last.rank; rank += 1) {
      items.push(item(rank, rank === labelRank ? sizes.label.across : THIN, null));
    }
    items.push(last);
    for (const [index, each] of items.entries()) {
      const next = items[index + 1];
      if (!next) break;
      each.near.push(next);
      next.near.push(each);
    }
    const label = items.find((each) => each.rank === labelRank && each.agent === null);
    return label ? [{ key, items, label, isReversed }] : [];
  });
}

function ranked(items: readonly Item[]): Item[][] {
  const last = Math.max(...items.map((each) => each.rank));
  const ranks = Array.from({ length: last + 1 }, (_, rank) => items.filter((each) => each.rank === rank));
  for (const rank of ranks) for (const [place, each] of rank.entries()) each.across = place;
  return ranks;
}

/** Sort each rank by the mean place of its neighbours in the rank before. */
function order(ranks: readonly Item[][]): void {
  for (const [index, rank] of ranks.entries()) {
    const before = new Set(ranks[index - 1]);
    const wanted = new Map(rank.map((each) => [each, mean(each, (near) => before.has(near))]));
    rank.sort((one, other) => (wanted.get(one) ?? 0) - (wanted.get(other) ?? 0));
    for (const [place, each] of rank.entries()) each.across = place;
  }
}

function mean(each: Item, counts: (near: Item) => boolean): number {
  const places = each.near.filter(counts).map((near) => near.across);
  return places.length ? places.reduce((sum, place) => sum + place, 0) / places.length : each.across;
}

/** Real places: each as near to its neighbours as the order and the sizes allow. */
function place(ranks: readonly Item[][], { gapAcross }: Sizes): void {
  for (const rank of ranks)
    spread(
      rank,
      rank.map(() => 0),
      gapAcross,
    );
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const rank of sweep % 2 === 0 ? ranks : ranks.toReversed()) {
      const wanted = rank.map((each) => mean(each, () => true));
      spread(rank, wanted, gapAcross);
    }
  }
}

/** Put the items of a rank where they want to be, moved apart in groups where they would overlap. */
function spread(rank: readonly Item[], wanted: readonly number[], gap: number): void {
  type Group = { items: Item[]; sum: number; size: number; start: number };
  const groups: Group[] = [];
  const startOf = (group: Group) => group.sum / group.items.length - group.size / 2;
  for (const [index, each] of rank.entries()) {
    let group: Group = { items: [each], sum: wanted[index] ?? 0, size: 2 * each.half, start: 0 };
    group.start = startOf(group);
    for (let before = groups.at(-1); before && before.start + before.size + gap > group.start; before = groups.at(-1)) {
      groups.pop();
      const size = before.size + gap + group.size;
      group = { items: [...before.items, ...group.items], sum: before.sum + group.sum, size, start: 0 };
      group.start = startOf(group);
    }
    groups.push(group);
  }
  for (const group of groups) {
    let edge = group.start;
    for (const each of group.items) {
      each.across = edge + each.half;
      edge += 2 * each.half + gap;
    }
  }
}

function drawn(agents: readonly Item[], chains: readonly Chain[], ranks: readonly Item[][], sizes: Sizes): Layout {
  const { agent, label, gapAlong } = sizes;
  const step = (agent.along + label.along) / 2 + gapAlong;
  const all = ranks.flat();
  const low = Math.min(...all.map((each) => each.across - each.half));
  const high = Math.max(...all.map((each) => each.across + each.half));
  const spot = (each: Item): Spot => ({ along: agent.along / 2 + each.rank * step, across: each.across - low });
  const shift = ports(chains);
  const routes = chains.map((chain) => {
    const points = chain.items.flatMap((each, index): Spot[] => {
      const { along, across } = spot(each);
      const half = (each.rank % 2 === 0 ? agent.along : label.along) / 2;
      if (index === 0) return [{ along: along + half, across: across + shift(chain, "first") }];
      if (index === chain.items.length - 1) return [{ along: along - half, across: across + shift(chain, "last") }];
      // Straight past agents and through the label.
      return [
        { along: along - half, across },
        { along: along + half, across },
      ];
    });
    return { key: chain.key, points: chain.isReversed ? points.reverse() : points, label: spot(chain.label) };
  });
  return {
    agents: agents.map(spot),
    routes,
    size: { along: agent.along + (ranks.length - 1) * step, across: high - low },
  };
}

const PORT_GAP = 13;
const PORT_EDGE = 10;

/** Handoffs leave and reach an agent beside each other, in the order of where they lead: how far from its middle. */
function ports(chains: readonly Chain[]): (chain: Chain, end: "first" | "last") => number {
  const shifts = new Map<Chain, { first: number; last: number }>(chains.map((each) => [each, { first: 0, last: 0 }]));
  for (const end of ["first", "last"] as const) {
    const agentOf = ({ items }: Chain) => (end === "first" ? items[0] : items.at(-1));
    const nextOf = ({ items }: Chain) => (end === "first" ? items[1] : items.at(-2))?.across ?? 0;
    for (const agent of new Set(chains.map(agentOf))) {
      const side = chains.filter((each) => agentOf(each) === agent);
      side.sort((one, other) => nextOf(one) - nextOf(other));
      const gap = Math.min(PORT_GAP, (2 * ((agent?.half ?? 0) - PORT_EDGE)) / Math.max(1, side.length - 1));
      for (const [index, each] of side.entries()) {
        const own = shifts.get(each);
        if (own) own[end] = (index - (side.length - 1) / 2) * gap;
      }
    }
  }
  return (chain, end) => shifts.get(chain)?.[end] ?? 0;
}
