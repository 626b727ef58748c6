import { lazy, Suspense } from "react";
import { Link, Route, Switch } from "wouter";
import { serverInfo } from "./api/client";
import { AccessProvider, useQuery } from "./api/hooks";
import { TalkPage } from "./pages/talk";
import { LiveProvider, useLiveCall } from "./realtime/hooks";
import { KeyDialog } from "./ui/key-dialog";
import { Shell } from "./ui/shell";

const CallsPage = lazy(async () => ({ default: (await import("./pages/calls")).CallsPage }));
const CallPage = lazy(async () => ({ default: (await import("./pages/call")).CallPage }));
const AgentsPage = lazy(async () => ({ default: (await import("./pages/agents")).AgentsPage }));

const ScenariosPage = lazy(async () => ({ default: (await import("./pages/scenarios")).ScenariosPage }));
const ScenarioPage = lazy(async () => ({ default: (await import("./pages/scenarios")).ScenarioPage }));

const BuilderPage = lazy(async () => ({ default: (await import("./pages/builder")).BuilderPage }));
const ServerPage = lazy(async () => ({ default: (await import("./pages/server")).ServerPage }));

const SERVER_EVERY_MS = 10_000;

export function App() {
  return (
    <AccessProvider>
      <LiveProvider>
        <Pages />
        <KeyDialog />
      </LiveProvider>
    </AccessProvider>
  );
}

function Pages() {
  const { state } = useLiveCall();
  // Asked again when the call begins or ends: it changes how many are live.
  const server = useQuery(`server/${state.status}`, serverInfo, SERVER_EVERY_MS);
  const info = server.error ? null : server.data;
  return (
    <Shell server={info} isTalking={state.status === "live"}>
      <Suspense fallback={null}>
        <Switch>
          <Route path="/">
            <TalkPage server={server.data} />
          </Route>
          <Route path="/calls" component={CallsPage} />
          <Route path="/calls/:id">{({ id }) => <CallPage id={decodeURIComponent(id)} />}</Route>
          <Route path="/scenarios" component={ScenariosPage} />
          <Route path="/new-scenario" component={BuilderPage} />
          <Route path="/scenarios/:name">
            {({ name }) => <ScenarioPage name={decodeURIComponent(name)} server={server.data} />}
          </Route>
          <Route path="/agents">
            <AgentsPage server={server.data} />
          </Route>
          <Route path="/server">
            <ServerPage server={server.data} />
          </Route>
          <Route>
            <NotFound />
          </Route>
        </Switch>
      </Suspense>
    </Shell>
  );
}

function NotFound() {
  return (
    <div className="empty">
      <h1>There is no such page</h1>
      <Link href="/" className="button">
        Talk to an agent
      </Link>
    </div>
  );
}
