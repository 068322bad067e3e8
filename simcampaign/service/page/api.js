/** What the service answers if it does not do what it was asked for; `status` is 0 if it does not answer at all. */
export class ApiError extends Error {
  constructor(status, message, { problems = [], hint = "" } = {}) {
    super(message);
    this.status = status;
    this.problems = problems;
    this.hint = hint;
  }
}

/** The service over HTTP. */
export class Api {
  constructor(session) {
    this.session = session;
  }

  /** Send a request and return the answer. Throws `ApiError`, or `AbortError` if it is given up. */
  async request(method, path, { params = {}, body, signal, headers = {} } = {}) {
    const query = new URLSearchParams(
      Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== ""),
    );
    const token = this.session.token;
    if (token) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    let answer;
    try {
      const url = query.size ? `${path}?${query}` : path;
      const sent = body === undefined ? undefined : JSON.stringify(body);
      answer = await fetch(url, { method, headers, body: sent, signal, cache: "no-store", credentials: "omit" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "The service does not answer.");
    }
    if (answer.ok) return answer;
    const said = await answer.json().catch(() => ({}));
    const message = said.error || `The service answered ${answer.status}.`;
    if (answer.status === 401 && token === this.session.token) this.session.refuse(message);
    throw new ApiError(answer.status, message, said);
  }

  async get(path, params, signal) {
    return (await this.request("GET", path, { params, signal })).json();
  }

  async send(method, path, body, headers) {
    return (await this.request(method, path, { body, headers })).json();
  }
}

/** The path of a job, and of what is below it. */
export function jobPath(id, more = "") {
  return `/jobs/${encodeURIComponent(id)}${more}`;
}

/** The path of a campaign, and of what is below it. */
export function campaignPath(id, more = "") {
  return `/campaigns/${encodeURIComponent(id)}${more}`;
}
