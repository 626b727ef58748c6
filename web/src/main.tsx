import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/talk.css";
import "./styles/dock.css";
import "./styles/captions.css";
import "./styles/timeline.css";
import "./styles/calls.css";
import "./styles/call.css";
import "./styles/agents.css";
import "./styles/report.css";
import "./styles/server.css";
import "./styles/scenarios.css";

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
