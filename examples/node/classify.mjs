// Lines of standard input to labels: node classify.mjs BUNDLE < texts
import { readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";

import { env, pipeline } from "@huggingface/transformers";

const SPECIAL = ["cls_token", "sep_token", "unk_token", "pad_token"];
// Control characters, line breaks, marks of direction, lone surrogates: a label must not move the cursor.
const UNSAFE = /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/gu;
const NAMED = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function visible(text) {
  const code = (character) => character.charCodeAt(0).toString(16);
  const escape = (c) => (c < "\u0100" ? `\\x${code(c).padStart(2, "0")}` : `\\u${code(c).padStart(4, "0")}`);
  return text.replace(UNSAFE, (character) => NAMED[character] ?? escape(character));
}

function check(holds, problem) {
  if (!holds) throw new Error(problem);
}

function checkManifest({ labels, max_length, threshold, abstain_label }) {
  const isText = (value) => typeof value === "string";
  check(Array.isArray(labels) && labels.length > 0 && labels.every(isText), "mkd.json: labels must be names");
  check(
    Number.isInteger(max_length) && max_length >= 4 && max_length <= 131072,
    "mkd.json: max_length must be a whole number from 4 to 131072",
  );
  check(threshold === null || (threshold >= 0 && threshold <= 1), "mkd.json: threshold must be from 0 to 1");
  check(abstain_label === null || isText(abstain_label), "mkd.json: abstain_label must be a name");
}

/** Check that the files transformers.js reads mean what the manifest says. */
async function checkClassifier(classify, { labels, max_length }) {
  const { tokenizer } = classify;
  check(
    tokenizer.model_max_length === max_length,
    `tokenizer_config.json cuts at ${tokenizer.model_max_length} tokens, mkd.json at ${max_length}`,
  );
  for (const name of SPECIAL) {
    const token = tokenizer.config[name]?.content ?? tokenizer.config[name];
    // A tokenizer without such a token says so with null.
    if (token != null) check(tokenizer.convert_tokens_to_ids([token])[0] != null, `tokenizer.json has no ${token}`);
  }
  const answers = await classify("", { top_k: null });
  const names = answers.map(({ label }) => label);
  check(answers.length === labels.length, `${answers.length} outputs for the ${labels.length} labels of mkd.json`);
  check(labels.every((label) => names.includes(label)), "config.json has other labels than mkd.json");
  check(answers.every(({ score }) => Number.isFinite(score)), "a score is not a number");
}

async function load(folder) {
  const manifest = JSON.parse(await readFile(join(folder, "mkd.json"), "utf8"));
  checkManifest(manifest);
  // The bundle is looked for on this disk and nowhere else.
  env.allowRemoteModels = false;
  env.localModelPath = dirname(folder);
  const classify = await pipeline("text-classification", basename(folder), {
    dtype: "q8", // onnx/model_quantized.onnx
    device: "cpu",
    session_options: { intraOpNumThreads: 1, enableCpuMemArena: false },
  });
  await checkClassifier(classify, manifest);
  return { classify, manifest };
}

try {
  const { classify, manifest } = await load(resolve(process.argv[2] ?? "bundle"));
  // One text at a time: an int8 answer would depend on the others of its batch.
  for await (const text of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const [{ label, score }] = await classify(text);
    const shown = score < (manifest.threshold ?? 0) ? (manifest.abstain_label ?? "out_of_scope") : label;
    console.log(`${visible(shown)}\t${score.toFixed(4)}`);
  }
} catch (error) {
  console.error(visible(error.message));
  process.exitCode = 1;
}
