import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vite";

const server = process.env.ANTIPHON_URL ?? "http://127.0.0.1:8000";

/** Leaves each file's compressed copies beside it: the server sends those, and compresses nothing itself. */
function precompress(): Plugin {
  return {
    name: "precompress",
    apply: "build",
    async writeBundle({ dir = "" }) {
      const files = await readdir(dir, { recursive: true, withFileTypes: true });
      for (const file of files.filter((each) => /\.(js|css|html|svg)$/.test(each.name))) {
        const path = join(file.parentPath, file.name);
        const content = await readFile(path);
        if (content.length < 1024) continue;
        const options = { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } };
        await writeFile(`${path}.br`, brotliCompressSync(content, options));
        await writeFile(`${path}.gz`, gzipSync(content, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), precompress()],
  build: {
    outDir: "../src/antiphon/console/dist",
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // The page's Content-Security-Policy allows files of its own server only: nothing becomes a data: URL.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The licences of what is bundled travel with it.
    license: { fileName: "licenses.md" },
  },
  worker: { format: "es" },
  server: { proxy: { "/v1": { target: server, ws: true } } },
});
