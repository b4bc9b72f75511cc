// Greedy generation by llama.cpp on the CPU, token by token to standard output.
//
// usage: node llamacpp.mjs NODE_MODULES MODEL.gguf PROMPT TOKENS [THREADS]
//
// NODE_MODULES is the folder that `npm install node-llama-cpp` made.
import path from "node:path";
import {pathToFileURL} from "node:url";

const [modules, file, prompt, tokens, threads = "2"] = process.argv.slice(2);
const entry = path.resolve(modules, "node-llama-cpp/dist/index.js");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(entry));
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: Number(threads)});
const model = await llama.loadModel({modelPath: file});
const context = await model.createContext({contextSize: 512, threads: Number(threads)});
const sequence = context.getSequence();
let n = 0;
for await (const token of sequence.evaluate(model.tokenize(prompt), {temperature: 0, yieldEogToken: true})) {
	process.stdout.write(model.detokenize([token]) || " ");
	if (++n == Number(tokens)) break;
}
process.exit(0);
