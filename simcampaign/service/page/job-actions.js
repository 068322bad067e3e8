import { jobPath } from "./api.js";
import { confirmed } from "./dialogs.js";
import { OVER } from "./states.js";

/** What can be done with a job now, by whoever uses the page: `{ name, label, run }`. */
export function actionsFor(app, job) {
  if (!app.session.owns(job.user)) return [];
  const post =
    (name, text, body = {}) =>
    () =>
      app.notices.attempt(() => app.api.send("POST", jobPath(job.id, `/${name}`), body), text);
  const waits = job.status === "queued",
    over = OVER.has(job.status);
  return [
    waits && !job.held && { name: "hold", label: "Hold", run: post("hold", `Job ${job.id} is held`) },
    waits && job.held && { name: "release", label: "Release", run: post("release", `Job ${job.id} is released`) },
    over &&
      job.status !== "completed" && { name: "retry", label: "Retry", run: post("retry", (answer) => answer.message) },
    !over && {
      name: "cancel",
      label: job.cancelling ? "Ending…" : "Cancel",
      disabled: job.cancelling,
      run: () => cancel(app, job),
    },
    over && { name: "delete", label: "Delete…", danger: true, run: () => remove(app, job) },
  ].filter(Boolean);
}

/** Cancel a job. The page may be a moment behind: one that has started since is not ended without a question. */
async function cancel(app, shown) {
  let job = shown;
  const look = async () => {
    job = await app.api.get(jobPath(shown.id));
  };
  if (shown.status === "queued" && !(await app.notices.attempt(look))) return false;
  if (OVER.has(job.status)) {
    app.notices.done(`Job ${job.id} is over: ${job.status}`);
    return true;
  }
  const running = job.status !== "queued";
  if (
    running &&
    !(await confirmed(
      "Cancel this job?",
      `Job ${job.id} is ${job.status}. All of its processes are ended, and what it has done so far may be lost.`,
      "Cancel the job",
    ))
  )
    return false;
  return app.notices.attempt(
    () => app.api.send("POST", jobPath(job.id, "/cancel"), {}),
    running ? `Job ${job.id} is being ended` : `Job ${job.id} is cancelled`,
  );
}

async function remove(app, job) {
  if (
    !(await confirmed(
      "Delete this job?",
      `Job ${job.id} is forgotten, with its log and its files. This cannot be undone.`,
      "Delete it",
    ))
  )
    return false;
  return app.notices.attempt(() => app.api.send("DELETE", jobPath(job.id)), `Job ${job.id} is deleted`);
}

/** Give a job that waits another priority. */
export function setPriority(app, job, priority, text) {
  return app.notices.attempt(() => app.api.send("POST", jobPath(job.id, "/priority"), { priority }), text);
}
