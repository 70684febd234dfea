// Lines of standard input to labels: node classify.mjs BUNDLE < texts
import { readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";

import { env, pipeline } from "@huggingface/transformers";

const folder = resolve(process.argv[2] ?? "bundle");
const { threshold, abstain_label } = JSON.parse(await readFile(join(folder, "mkd.json"), "utf8"));

// The bundle is looked for on this disk and nowhere else.
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const classify = await pipeline("text-classification", basename(folder), {
  dtype: "q8", // onnx/model_quantized.onnx
  device: "cpu",
  session_options: { intraOpNumThreads: 1, enableCpuMemArena: false },
});

// One text at a time: an int8 answer would depend on the others of its batch.
for await (const text of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const [{ label, score }] = await classify(text);
  console.log(`${score < (threshold ?? 0) ? (abstain_label ?? "out_of_scope") : label}\t${score.toFixed(4)}`);
}
