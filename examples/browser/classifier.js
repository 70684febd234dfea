// A bundle that answers in the browser: WebAssembly, one thread, files of this server only.
import { Tokenizer } from "./node_modules/@huggingface/tokenizers/dist/tokenizers.min.mjs";
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;
ort.env.wasm.numThreads = 1; // more would need a server that isolates the page (COOP and COEP headers)

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
    const model = await (await read(manifest.model_file)).arrayBuffer();
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    return new Classifier(manifest, new Tokenizer(tokenizer, config), session);
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
