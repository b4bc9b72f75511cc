// Measures llama.cpp through node-llama-cpp, as requests.py does a server: sequences of one
// context, which llama.cpp decodes together, greedy and of a fixed length.
//
// usage: node together.mjs NODE_MODULES GGUF SEQUENCES TOKENS THREADS
import path from "node:path";
import { pathToFileURL } from "node:url";

const [modules, modelPath, sequences, tokens, threads] = process.argv.slice(2).map((x, i) => (i < 2 ? x : Number(x)));
const { getLlama } = await import(pathToFileURL(path.resolve(modules, "node-llama-cpp/dist/index.js")));

const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, logLevel: "error" });
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ sequences, contextSize: 512, threads, batchSize: 512 });
const all = Array.from({ length: sequences }, () => context.getSequence());

async function generate(sequence, number, tokens) {
  const prompt = model.tokenize(`Here are ${number + 2} things about the sea:`);
  let n = 0;
  for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    if (++n === tokens) break;
  }
  return n;
}

await generate(all[0], 0, 4);
await all[0].clearHistory();
const began = performance.now();
const counts = await Promise.all(all.map((sequence, number) => generate(sequence, number, tokens)));
const total = counts.reduce((a, b) => a + b);
console.log((total / ((performance.now() - began) / 1000)).toFixed(1));
process.exit(0);
