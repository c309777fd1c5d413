// Counts the corpus: `npm install gpt-tokenizer@4.0.0`, then `node corpus.mjs corpus.jsonl`, which is written anew.
//
// Texts are counted by o200k_base as OpenAI has it; bodies as gpt-tokenizer puts messages and functions to a model.
import { readFileSync, writeFileSync } from 'node:fs'
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'
import { countChatCompletionTokens } from 'gpt-tokenizer/model/gpt-4o'

const counted = ({ name, text, body }) => {
  if (body === undefined) return { name, text, tokens: countTokens(text) }
  const functions = body.tools?.map((tool) => tool.function)
  return { name, body, tokens: countChatCompletionTokens({ messages: body.messages, functions }) }
}
const [, , file] = process.argv
const lines = readFileSync(file, 'utf8').trim().split('\n').map(JSON.parse)
writeFileSync(file, lines.map((line) => JSON.stringify(counted(line)) + '\n').join(''))
