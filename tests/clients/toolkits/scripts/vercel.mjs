// The AI SDK of Vercel, with its providers for Anthropic, OpenAI's two APIs, and all that are compatible.
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { z } from "zod";

const url = process.argv[2];
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "any" });
const models = [
  createAnthropic({ baseURL: `${url}/v1`, apiKey: "any" })("the-model"),
  openai.chat("the-model"),
  openai.responses("the-model"),
  createOpenAICompatible({ name: "gateway", baseURL: `${url}/v1`, apiKey: "any", supportsStructuredOutputs: true })("the-model"),
];
const tools = {
  weather: tool({
    description: "Weather of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `Sun in ${city}`,
  }),
};
const prompt = "Weather in Paris?";

async function streamed(options) {
  let text = "";
  const result = streamText(options);
  for await (const piece of result.textStream) text += piece;
  return text;
}

for (const model of models) {
  console.log("text:", (await generateText({ model, prompt: "hi" })).text);
  console.log("stream:", await streamed({ model, prompt: "hi" }));
  const looped = await generateText({ model, prompt, tools, stopWhen: stepCountIs(4) });
  console.log("tools:", looped.text);
  console.log("tools streamed:", (await streamed({ model, prompt, tools, stopWhen: stepCountIs(4) })).replace("I look.", ""));
  const schema = z.object({ city: z.string(), degrees: z.number() });
  const { object } = await generateObject({ model, schema, prompt: "hi" });
  console.log("structured:", object.city, object.degrees);
}
