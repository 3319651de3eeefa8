// Checks OpenAPI documents, each in a file, with programs that know nothing of waggle. Says all that is wrong with them; 1 if anything is.
import fs from "node:fs";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

let wrong = 0;
const say = (file, what) => { wrong += 1; console.log(`${file}: ${what}`); };

for (const file of process.argv.slice(2)) {
  const text = fs.readFileSync(file, "utf8");
  const document = JSON.parse(text);

  // The specification's own JSON Schema, and references.
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document));
  if (!result.valid) say(file, JSON.stringify(result.errors));
  if (validator.version !== "3.1") say(file, `taken as version ${validator.version}`);

  // What the specification says in words: names that are used once, parameters that are in their paths, ….
  const config = await createConfig({ extends: ["spec"], rules: { "operation-operationId-unique": "error", "operation-parameters-unique": "error",
    "path-parameters-defined": "error", "no-identical-paths": "error", "no-schema-type-mismatch": "error", "operation-operationId": "error" } });
  for (const each of await lintFromString({ source: text, absoluteRef: "openapi.json", config })) {
    say(file, `${each.ruleId}: ${each.message} (${each.location?.[0]?.pointer})`);
  }

  // Its schemas are schemas.
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema({ $id: "https://example.org/openapi.json", components: document.components });
  for (const name of Object.keys(document.components.schemas)) {
    try {
      ajv.compile({ $ref: `https://example.org/openapi.json#/components/schemas/${name}` });
    } catch (why) {
      say(file, `schema ${name}: ${why.message}`);
    }
  }
}
process.exit(wrong === 0 ? 0 : 1);
