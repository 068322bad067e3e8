/** Yield server-sent events of an answer as `{ kind, data, id }`; what is only a sign of life has no kind. */
export async function* readEvents(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) yield parseEvent(block);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parseEvent(block) {
  const event = { kind: "", data: null, id: null };
  let data = "";
  for (const line of block.split("\n")) {
    const cut = line.indexOf(":");
    const name = line.slice(0, cut),
      value = line.slice(cut + 1).trimStart();
    if (name === "event") event.kind = value;
    else if (name === "id") event.id = Number(value);
    else if (name === "data") data += value;
  }
  if (data) event.data = JSON.parse(data);
  return event;
}
