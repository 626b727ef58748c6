import { Activity, AudioLines, Bot, PhoneCall, Waypoints } from "lucide-react";
import type { ReactNode } from "react";
import { useEffect, useRef } from "react";
import { Link, useLocation } from "wouter";
import type { ServerInfo } from "../api/types";
import { ThemeToggle } from "./theme-toggle";

type Props = { server: ServerInfo | null; isTalking: boolean; children: ReactNode };

/** The frame around every page: where one is, and how the server does. */
export function Shell({ server, isTalking, children }: Props) {
  const [path] = useLocation();
  const main = useRef<HTMLElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page begins at its top.
  useEffect(() => {
    // Newer browsers give a promise here, which an effect must not return.
    void main.current?.scrollTo(0, 0);
  }, [path]);
  const liveCalls = server?.calls_live ?? 0;
  return (
    <div className="shell">
      <a className="button skip" href="#main">
        Skip to the page
      </a>
      <header className="sidebar">
        <Link href="/" className="brand">
          <img src="/favicon.svg" alt="" />
          Antiphon
        </Link>
        <nav className="nav" aria-label="Pages">
          <NavLink href="/" isCurrent={path === "/"} icon={<AudioLines size={17} aria-hidden />} name="Talk">
            {isTalking && <span className="dot live" title="In a call" />}
          </NavLink>
          <NavLink
            href="/calls"
            isCurrent={path.startsWith("/calls")}
            icon={<PhoneCall size={17} aria-hidden />}
            name="Calls"
          >
            {liveCalls > 0 && (
              <span className="count">
                {liveCalls}
                <span> live</span>
              </span>
            )}
          </NavLink>
          <NavLink
            href="/scenarios"
            isCurrent={path.startsWith("/scenarios") || path === "/new-scenario"}
            icon={<Waypoints size={17} aria-hidden />}
            name="Scenarios"
          />
          <NavLink
            href="/agents"
            isCurrent={path.startsWith("/agents")}
            icon={<Bot size={17} aria-hidden />}
            name="Agents"
          />
          <NavLink
            href="/server"
            isCurrent={path.startsWith("/server")}
            icon={<Activity size={17} aria-hidden />}
            name="Server"
          />
        </nav>
        <div className="sidebar-foot">
          <ServerCard server={server} />
          <ThemeToggle />
        </div>
      </header>
      <main id="main" className="main" ref={main} tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

type NavLinkProps = { href: string; isCurrent: boolean; icon: ReactNode; name: string; children?: ReactNode };

function NavLink({ href, isCurrent, icon, name, children }: NavLinkProps) {
  return (
    <Link href={href} aria-current={isCurrent ? "page" : undefined}>
      {icon}
      {name}
      {children}
    </Link>
  );
}

const ROLES = [
  ["stt", "Hears"],
  ["llm", "Thinks"],
  ["tts", "Speaks"],
] as const;

function ServerCard({ server }: { server: ServerInfo | null }) {
  if (!server) {
    return (
      <div className="server">
        <div className="server-head">
          <span className="dot" /> No server yet
        </div>
      </div>
    );
  }
  return (
    <section className="server" aria-label="Server">
      <div className="server-head">
        <span className={`dot ${server.ready ? "ok" : "off"}`} />
        {server.ready ? "Ready" : "Warming up"}
        <span className="muted mono">{server.version}</span>
      </div>
      <dl>
        {ROLES.map(([role, verb]) => {
          const model = server.models[role];
          return (
            model && (
              <div key={role} className="row">
                <dt>{verb}</dt>
                <dd title={model}>{model.split("/").at(-1)}</dd>
              </div>
            )
          );
        })}
      </dl>
    </section>
  );
}
