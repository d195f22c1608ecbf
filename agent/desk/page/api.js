// What the page asks of the agent.

export class Refused extends Error {
  constructor(error) {
    super(error.message);
    this.nextStep = error.next_step || "";
    this.type = error.type;
  }
}

async function answer(response) {
  const body = await response.json();
  if (!body.ok) throw new Refused(body.error);
  return body;
}

export const get = async (path) => answer(await fetch(path));

export const post = async (path, body) =>
  answer(await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }));

// The attempt, once it is over.
export async function outcome(attempt) {
  for (;;) {
    const body = await get(`/api/attempts/${attempt.action_attempt_id}?wait=50`);
    if (body.action_attempt.status !== "pending") return body;
  }
}
