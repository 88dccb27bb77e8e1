// What npm's `openai` makes of the service: prints one JSON object. Arguments: base URL, model.
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "sk-local", maxRetries: 0 });
const messages = [{ role: "user", content: "hello" }];
const weather = {
  type: "function",
  function: {
    name: "weather",
    parameters: { type: "object", properties: { town: { type: "string" } }, required: ["town"] },
    parse: JSON.parse,
    function: ({ town }) => `rain in ${town}`,
  },
};

const models = [];
for await (const each of client.models.list()) models.push(each.id);
const whole = await client.chat.completions.create({ model, messages });
const stream = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
let streamed = "";
for await (const chunk of stream) streamed += chunk.choices[0]?.delta?.content ?? "";
const usage = await stream.totalUsage();
const runner = client.chat.completions.runTools({ model, messages, tools: [weather], stream: true });
const afterTool = await runner.finalContent();
const toolResult = runner.messages.find((message) => message.role === "tool").content;
const response = await client.responses.create({ model, input: "hello" });
const embedded = await client.embeddings.create({ model, input: ["a", "b"] });
let refused;
try {
  await client.chat.completions.create({ model, messages, n: 2 });
} catch (error) {
  refused = { status: error.status, code: error.code, param: error.param, kind: error.constructor.name };
}
console.log(
  JSON.stringify({
    models,
    whole: whole.choices[0].message.content,
    streamed,
    totalTokens: usage.total_tokens,
    toolResult,
    afterTool,
    response: response.output_text,
    dimensions: embedded.data.map((each) => each.embedding.length),
    refused,
  }),
);
