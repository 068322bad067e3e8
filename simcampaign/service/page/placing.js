// Where a job comes in the queue: by its rank, which is its priority and its age in one number.

/** The smallest priority with which `job` comes before `other`. */
export function priorityBefore(job, other) {
  return job.priority + Math.floor(other.rank - job.rank) + 1;
}

/** The greatest priority with which `job` comes behind `other`. */
export function priorityBehind(job, other) {
  return job.priority + Math.ceil(other.rank - job.rank) - 1;
}

/** The priority with which a job of a list comes to a place of it, counted without the job; null if it is there already. */
export function priorityAt(jobs, from, to) {
  if (to === from) return null;
  const job = jobs[from];
  return to < from ? priorityBefore(job, jobs[to]) : priorityBehind(job, jobs[to]);
}
