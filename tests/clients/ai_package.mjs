// What Vercel's `ai` makes of the service: prints one JSON object. Arguments: base URL, model.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, isStepCount, jsonSchema, streamText, tool } from "ai";

const [baseURL, model] = process.argv.slice(2);
const router = createOpenAICompatible({ name: "router", baseURL, apiKey: "sk-local", includeUsage: true });
const weather = tool({
  inputSchema: jsonSchema({ type: "object", properties: { town: { type: "string" } }, required: ["town"] }),
  execute: async ({ town }) => `rain in ${town}`,
});

const whole = await generateText({ model: router(model), prompt: "hello", maxRetries: 0 });
const stream = streamText({ model: router("memory_fast"), prompt: "hello", maxRetries: 0 });
let streamed = "";
for await (const piece of stream.textStream) streamed += piece;
const withTool = await generateText({
  model: router(model),
  prompt: "hello",
  tools: { weather },
  stopWhen: isStepCount(3),
  maxRetries: 0,
});
console.log(
  JSON.stringify({
    whole: whole.text,
    finishReason: whole.finishReason,
    streamed,
    reasoning: await stream.reasoningText,
    inputTokens: (await stream.usage).inputTokens,
    toolResult: withTool.steps[0].toolResults[0].output,
    afterTool: withTool.text,
  }),
);
