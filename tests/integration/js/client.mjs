// Asks the router what applications ask, with the `openai` package, and prints what came of it as JSON.
//
//     node client.mjs BASE_URL API_KEY
//
// Each case is one key of the output; test_router_javascript.py scripts the answers and judges them.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const user = (content) => [{ role: "user", content }];
const ask = (content, more = {}, options = {}) =>
  client.chat.completions.create({ model: "m", messages: user(content), ...more }, options);
const Place = z.object({ city: z.string(), days: z.number() });
const tools = [
  { type: "function", function: { name: "find", parameters: { type: "object", properties: { id: { type: "integer" } } } } },
];

const cases = {
  async plain() {
    const { data, response } = await ask("say hello").withResponse();
    return {
      text: data.choices[0].message.content,
      usage: data.usage.completion_tokens,
      tier: response.headers.get("x-fasttier-tier"),
      id: response.headers.get("x-request-id"),
    };
  },
  async stream() {
    const stream = await ask("say hello", { stream: true, stream_options: { include_usage: true } });
    const found = { text: "", reasons: [], usage: null };
    for await (const chunk of stream) {
      found.text += chunk.choices[0]?.delta?.content ?? "";
      if (chunk.choices[0]?.finish_reason) found.reasons.push(chunk.choices[0].finish_reason);
      found.usage = chunk.usage?.completion_tokens ?? found.usage;
    }
    return found;
  },
  async tools() {
    const { choices } = await ask("call a tool", { tools, tool_choice: "auto" });
    return { call: choices[0].message.tool_calls[0].function, reason: choices[0].finish_reason };
  },
  async streamedTools() {
    const runner = client.chat.completions.stream({ model: "m", messages: user("call a tool"), tools });
    const { choices } = await runner.finalChatCompletion();
    return { call: choices[0].message.tool_calls[0].function, reason: choices[0].finish_reason };
  },
  async schema() {
    const format = zodResponseFormat(Place, "place");
    const parsed = await client.chat.completions.parse({ model: "m", messages: user("a place"), response_format: format });
    return parsed.choices[0].message.parsed;
  },
  async choices() {
    const { choices } = await ask("say hello", { n: 2, logprobs: true, top_logprobs: 2, stop: ["."], seed: 3 });
    return choices.map((choice) => [choice.message.content, choice.logprobs.content.length]);
  },
  async models() {
    const found = [];
    for await (const model of client.models.list()) found.push(model.id);
    return found;
  },
  async brokenStream() {
    const seen = [];
    try {
      for await (const chunk of await ask("break", { stream: true })) seen.push(chunk.choices[0]?.delta?.content ?? "");
    } catch (error) {
      return { seen: seen.join(""), error: error instanceof OpenAI.APIError };
    }
    return { seen: seen.join(""), error: null };
  },
  async aborted() {
    try {
      await ask("hang", {}, { timeout: 300 });
    } catch (error) {
      return error.constructor.name;
    }
    return null;
  },
  async errors() {
    const stranger = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
    const attempts = {
      badRequest: () => ask("status 400"),
      unreadable: () => client.chat.completions.create({ model: "m", messages: "hello" }),
      down: () => ask("status 503"),
      // Last: the router leaves the endpoint alone for as long as that asked for, which is longer than this client waits.
      throttled: () => ask("status 429", {}, { timeout: 10_000 }),
      key: () => stranger.models.list(),
      path: () => client.get("/nothing/here"),
    };
    const found = {};
    for (const [name, attempt] of Object.entries(attempts)) {
      try {
        await attempt();
        found[name] = null;
      } catch (error) {
        found[name] = [error.constructor.name, error.status, error.message];
      }
    }
    return found;
  },
};

const results = {};
for (const [name, run] of Object.entries(cases)) results[name] = await run();
console.log(JSON.stringify(results));
