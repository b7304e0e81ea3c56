// The edge's benchmarks: one line for each figure, "name value unit".
//
//   npm run bench:edge              all of them
//   npm run bench:edge -- connect   some of them
//
// All on one machine: local workerd, no network. What only a deployment shows is not here.

import { fileURLToPath } from "node:url";
import { unstable_readConfig } from "wrangler";
import { appWorker, Host, type Worker } from "../test/harness.ts";
import { broadcast } from "./broadcast.ts";
import { connect } from "./connect.ts";
import { signatures, verdict } from "./front.ts";
import { manyRooms, memory, wake } from "./rooms.ts";
import { size } from "./size.ts";
import { es256Key, secret } from "./tokens.ts";

const startApp = () => Host.start({ ...appWorker, vars: { ORIEL_SECRET: secret } });

const deployed = unstable_readConfig({ config: appWorker.configPath });

/** The deployed worker without the bindings that wrangler simulates at a cost: the rate limiter and the page's files. */
function startLean(): Promise<Host> {
  const { name, main, compatibility_date, keep_names, durable_objects, migrations } = deployed;
  const config = {
    name,
    main,
    compatibility_date,
    keep_names,
    durable_objects,
    migrations,
    vars: { ORIEL_SECRET: secret },
  };
  return Host.start({ config } as Worker);
}

const benchConfig = fileURLToPath(new URL("./wrangler.toml", import.meta.url));
const benchVars = { SECRET: secret, KEY: es256Key };

const startBench = () => Host.start({ configPath: benchConfig, vars: benchVars });

/** The worker of the benchmarks, with those bindings of the deployed one. */
function startLimited(): Promise<Host> {
  const { name, main, compatibility_date, keep_names, durable_objects, migrations } = unstable_readConfig({
    config: benchConfig,
  });
  const { ratelimits, assets } = deployed;
  const config = {
    name,
    main,
    compatibility_date,
    keep_names,
    durable_objects,
    migrations,
    ratelimits,
    vars: benchVars,
  };
  return Host.start({ config: { ...config, assets: { ...assets, run_worker_first: true } } } as Worker);
}

/** Runs a benchmark with workers of its own, so that none is measured with what another left behind. */
function on(run: (...hosts: Host[]) => Promise<void>, ...starts: (() => Promise<Host>)[]): () => Promise<void> {
  return async () => {
    const hosts: Host[] = [];
    try {
      for (const start of starts) hosts.push(await start());
      await run(...hosts);
    } finally {
      await Promise.all(hosts.map((h) => h.stop()));
    }
  };
}

const benchmarks: Record<string, () => void | Promise<void>> = {
  size,
  verdict: on(verdict, startApp),
  signatures: on(signatures, startBench),
  connect: on(connect, startLean, startBench, startApp, startLimited),
  wake: on(wake, startApp),
  memory: on(memory, startBench),
  "many-rooms": on(manyRooms, startBench),
  broadcast: on(broadcast, startBench),
};

const wanted = process.argv.slice(2);
for (const name of wanted) if (benchmarks[name] === undefined) throw new Error(`no benchmark is called ${name}`);
for (const [name, run] of Object.entries(benchmarks)) if (wanted.length === 0 || wanted.includes(name)) await run();
