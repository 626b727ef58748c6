import { Monitor, Moon, Sun } from "lucide-react";
import { useState } from "react";

const THEMES = [
  { id: "system", name: "As the system", Icon: Monitor },
  { id: "light", name: "Light", Icon: Sun },
  { id: "dark", name: "Dark", Icon: Moon },
] as const;

type Theme = (typeof THEMES)[number]["id"];

const SAVED = "antiphon.theme";

/** System, light or dark; `theme.js` applies the choice before the first paint. */
export function ThemeToggle() {
  const [theme, setTheme] = useState<Theme>(() => (localStorage.getItem(SAVED) as Theme | null) ?? "system");
  const choose = (next: Theme) => {
    setTheme(next);
    if (next === "system") {
      localStorage.removeItem(SAVED);
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem(SAVED, next);
      document.documentElement.dataset.theme = next;
    }
  };
  return (
    <fieldset className="segmented theme-toggle">
      <legend className="sr-only">Theme</legend>
      {THEMES.map(({ id, name, Icon }) => (
        <label key={id} title={name}>
          <input type="radio" name="theme" checked={theme === id} onChange={() => choose(id)} />
          <Icon size={14} aria-hidden />
          <span className="sr-only">{name}</span>
        </label>
      ))}
    </fieldset>
  );
}
