// A bundle that answers in the browser: WebAssembly, one thread, files of this server only.
import { Tokenizer } from "./node_modules/@huggingface/tokenizers/dist/tokenizers.min.mjs";
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;
ort.env.wasm.numThreads = 1; // more would need a server that isolates the page (COOP and COEP headers)

const SPECIAL = ["cls_token", "sep_token", "unk_token", "pad_token"];

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

function checkSpecialTokens(tokenizer, config) {
  for (const name of SPECIAL) {
    const token = config[name]?.content ?? config[name];
    // A tokenizer without such a token says so with null.
    if (token != null) check(tokenizer.token_to_id(token) != null, `tokenizer.json has no ${token}`);
  }
}

export class Classifier {
  static async load(folder) {
    const read = async (name) => {
      const answer = await fetch(`${folder}/${name}`);
      if (!answer.ok) throw new Error(`${folder}/${name}: ${answer.status} ${answer.statusText}`);
      return answer;
    };
    const json = async (name) => (await read(name)).json();
    const [manifest, tokenizer, config] = await Promise.all(
      ["mkd.json", "tokenizer.json", "tokenizer_config.json"].map(json),
    );
    checkManifest(manifest);
    const model = await (await read(manifest.model_file)).arrayBuffer();
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    const classifier = new Classifier(manifest, new Tokenizer(tokenizer, config), session);
    checkSpecialTokens(classifier.tokenizer, config);
    await classifier.rank(""); // checks the outputs, and the first call is the slowest
    return classifier;
  }

  constructor(manifest, tokenizer, session) {
    this.manifest = manifest;
    this.tokenizer = tokenizer;
    this.session = session;
  }

  /** Every label with its probability, best first. */
  async rank(text) {
    const { labels } = this.manifest;
    const { probabilities } = await this.session.run(this.#feed(text));
    const outputs = probabilities.data.length;
    check(outputs === labels.length, `${outputs} outputs for the ${labels.length} labels of mkd.json`);
    check(probabilities.data.every(Number.isFinite), "a score is not a number");
    return labels.map((label, i) => ({ label, score: probabilities.data[i] })).sort((a, b) => b.score - a.score);
  }

  /** The best label and its probability; below the bundle's threshold the label that says so. */
  async predict(text) {
    const { threshold, abstain_label } = this.manifest;
    const [best] = await this.rank(text);
    return best.score < (threshold ?? 0) ? { ...best, label: abstain_label ?? "out_of_scope" } : best;
  }

  #feed(text) {
    const { inputs, max_length } = this.manifest;
    let { ids } = this.tokenizer.encode(text);
    if (ids.length > max_length) ids = [...ids.slice(0, max_length - 1), ids.at(-1)]; // the last one is [SEP]
    const values = { input_ids: (id) => id, attention_mask: () => 1, token_type_ids: () => 0 };
    const tensor = (name) =>
      new ort.Tensor("int64", BigInt64Array.from(ids, (id) => BigInt(values[name](id))), [1, ids.length]);
    return Object.fromEntries(inputs.map((name) => [name, tensor(name)]));
  }
}
