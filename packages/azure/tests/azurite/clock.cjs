// Loaded before Azurite: a clock that the tests advance, and an end with whoever started it.
// A line of standard input is a number of milliseconds that pass; it is answered once they have.
"use strict";
const readline = require("node:readline");

const RealDate = Date;
let passed = 0;

globalThis.Date = class extends RealDate {
  constructor(...parts) {
    super(...(parts.length === 0 ? [RealDate.now() + passed] : parts));
  }
  static now() {
    return RealDate.now() + passed;
  }
};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    passed += Number(line);
    process.stderr.write(`passed ${passed}\n`);
  })
  .on("close", () => process.exit(0));
