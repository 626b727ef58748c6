import { Phone } from "lucide-react";
import type { CSSProperties } from "react";
import { useLayoutEffect, useMemo, useRef } from "react";
import type { Graph, GraphEdge, GraphSource } from "../scenario/graph";
import { graphOf } from "../scenario/graph";
import type { Layout, Route, Sizes, Spot } from "../scenario/layout";
import { layout } from "../scenario/layout";
import { plural } from "./format";
import { useWidth } from "./use-size";

type Point = { x: number; y: number };
/** The way of a conversation: who answers now, and the handoffs so far as `from→to`. */
export type Way = { agent: string | null; taken: ReadonlySet<string> };

type Props = {
  scenario: GraphSource;
  /** Which agent's details are shown elsewhere; without it agents are no buttons. */
  selected?: string | null;
  onSelect?: ((name: string) => void) | undefined;
  way?: Way | null;
};

/** Below this the graph goes down the page in place of across it. */
const NARROW_PX = 640;
const SMALLEST = 0.75;
const MOST_ABOVE_PX = 160;
const MARGIN = 22;
const AGENT = { width: 164, height: 60 };
const LABEL = { width: 150, height: 36 };
const RIGHTWARDS: Sizes = {
  agent: { along: AGENT.width, across: AGENT.height },
  label: { along: LABEL.width, across: LABEL.height },
  gapAlong: 32,
  gapAcross: 22,
};
const DOWNWARDS: Sizes = {
  agent: { along: AGENT.height, across: AGENT.width },
  label: { along: LABEL.height, across: LABEL.width },
  gapAlong: 20,
  gapAcross: 14,
};

/** The agents of a scenario and who hands over to whom; the lists below it say the same in words. */
export function ScenarioGraph({ scenario, selected = null, onSelect, way = null }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const isDown = width > 0 && width < NARROW_PX;
  const graph = useMemo(() => graphOf(scenario), [scenario]);
  const drawn = useMemo(() => layout(graph, isDown ? DOWNWARDS : RIGHTWARDS), [graph, isDown]);
  const at = ({ along, across }: Spot): Point =>
    isDown ? { x: across + MARGIN, y: along + MARGIN } : { x: along + MARGIN, y: across + MARGIN };
  const far = at({ along: drawn.size.along, across: drawn.size.across });
  const size = { width: far.x + MARGIN, height: far.y + MARGIN };
  const centre = at(drawn.agents[Math.max(0, graph.agents.indexOf(way?.agent ?? ""))] ?? { along: 0, across: 0 });
  const scale = Math.min(1, Math.max(SMALLEST, width / size.width));
  // Where not all of it fits, who answers now is in view, or else who answers first.
  useLayoutEffect(() => {
    box.current?.scrollTo({ left: centre.x * scale - width / 2, top: centre.y * scale - MOST_ABOVE_PX });
  }, [centre.x, centre.y, scale, width]);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a scrolled drawing is no fieldset.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
    <div className="graph" ref={box} role="group" aria-label="Agents" tabIndex={0}>
      <div className="graph-fit" style={{ width: size.width * scale, height: size.height * scale }}>
        <div className="graph-sheet" style={{ ...size, transform: `scale(${scale})` }}>
          <Arrows graph={graph} drawn={drawn} size={size} at={at} isDown={isDown} way={way} />
          {drawn.routes.map((route) => (
            <Label key={route.key} edge={edgeOf(graph, route)} at={at(route.label)} />
          ))}
          {scenario.agents.map((agent, index) => (
            <Node
              key={agent.name}
              name={agent.name}
              about={aboutAgent(graph, index)}
              isStart={index === 0}
              isAnyones={graph.anyones.has(index)}
              isSelected={agent.name === selected}
              isActive={agent.name === way?.agent}
              at={at(drawn.agents[index] ?? { along: 0, across: 0 })}
              onSelect={onSelect}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

function edgeOf(graph: Graph, route: Route): GraphEdge | undefined {
  return graph.edges.find((edge) => edge.key === route.key);
}

function aboutAgent(graph: Graph, index: number): string {
  const count = graph.edges.filter((edge) => edge.from === index).reduce((sum, edge) => sum + edge.labels.length, 0);
  return count ? plural(count, "handoff") : "no handoffs";
}

type NodeProps = {
  name: string;
  about: string;
  isStart: boolean;
  isAnyones: boolean;
  isSelected: boolean;
  isActive: boolean;
  at: Point;
  onSelect: ((name: string) => void) | undefined;
};

function Node({ name, about, isStart, isAnyones, isSelected, isActive, at, onSelect }: NodeProps) {
  const box = {
    className: "graph-node",
    style: centred(at, AGENT),
    "data-start": isStart || undefined,
    "data-anyones": isAnyones || undefined,
    "data-active": isActive || undefined,
    "data-testid": isActive ? "answers-now" : undefined,
  };
  const inside = (
    <>
      {isStart && <Phone size={14} role="img" aria-label="answers first" />}
      <span className="graph-name">
        <strong title={name}>{name}</strong>
        <small>{isActive ? "answers now" : about}</small>
      </span>
      {isActive && <span className="dot live" aria-hidden />}
    </>
  );
  if (!onSelect) return <div {...box}>{inside}</div>;
  return (
    <button type="button" aria-pressed={isSelected} onClick={() => onSelect(name)} {...box}>
      {inside}
    </button>
  );
}

function Label({ edge, at }: { edge: GraphEdge | undefined; at: Point }) {
  if (!edge) return null;
  const text = edge.labels.join(" · ");
  return (
    <div className="graph-label" style={centred(at, LABEL)} data-discrete={edge.isDiscrete || undefined} aria-hidden>
      <p>
        <span title={text}>{text}</span>
      </p>
    </div>
  );
}

function centred({ x, y }: Point, { width, height }: { width: number; height: number }): CSSProperties {
  return { left: x - width / 2, top: y - height / 2, width, height };
}

type ArrowsProps = {
  graph: Graph;
  drawn: Layout;
  size: { width: number; height: number };
  at: (spot: Spot) => Point;
  isDown: boolean;
  way: Way | null;
};

function Arrows({ graph, drawn, size, at, isDown, way }: ArrowsProps) {
  return (
    <svg className="graph-arrows" width={size.width} height={size.height} aria-hidden>
      <defs>
        {["plain", "taken"].map((kind) => (
          <marker
            key={kind}
            id={`arrow-${kind}`}
            viewBox="0 0 10 10"
            refX="9"
            refY="5"
            markerWidth="11"
            markerHeight="11"
            markerUnits="userSpaceOnUse"
            orient="auto"
          >
            <path d="M0 1 L9 5 L0 9 z" data-kind={kind} />
          </marker>
        ))}
      </defs>
      {drawn.routes.map((route) => {
        const edge = edgeOf(graph, route);
        if (!edge) return null;
        const isTaken = way?.taken.has(`${graph.agents[edge.from]}→${graph.agents[edge.to]}`) ?? false;
        return (
          <path
            key={route.key}
            d={curve(route.points.map(at), isDown)}
            data-discrete={edge.isDiscrete || undefined}
            data-taken={isTaken || undefined}
            markerEnd={`url(#arrow-${isTaken ? "taken" : "plain"})`}
          />
        );
      })}
    </svg>
  );
}

/** A smooth line through points, which it passes in the direction of the conversation. */
function curve(points: readonly Point[], isDown: boolean): string {
  const [first, ...others] = points;
  if (!first) return "";
  let from = first;
  const parts = [`M${first.x} ${first.y}`];
  for (const to of others) {
    const half = isDown ? (to.y - from.y) / 2 : (to.x - from.x) / 2;
    const [one, two] = isDown
      ? [`${from.x} ${from.y + half}`, `${to.x} ${to.y - half}`]
      : [`${from.x + half} ${from.y}`, `${to.x - half} ${to.y}`];
    parts.push(`C${one} ${two} ${to.x} ${to.y}`);
    from = to;
  }
  return parts.join(" ");
}
