/** Return a job as it is after an event of it. */
export function changed(job, { kind, data }) {
  if (kind === "job_scheduled") return { ...job, status: "scheduled" };
  if (kind === "job_started") return { ...job, status: "running", start_time: data.start_time };
  if (kind === "job_changed") return { ...job, priority: data.priority, held: data.held };
  if (kind === "job_completed" || kind === "job_cancelled") {
    const { status, end_time, return_code, cause, message } = data;
    return { ...job, status, end_time, return_code, cause, message, cancelling: false };
  }
  return job;
}
