// The peer in JavaScript: Fastify, @fastify/jwt and node-postgres, one process a core. The same
// routes, rows and tokens as taskcell; whose row it is, a WHERE decides. PEER_PORT, PEER_PROCESSES,
// PEER_POOL, PEER_SECRET and PEER_DATABASE (a directory) say where and how.
import cluster from "node:cluster";
import { randomUUID } from "node:crypto";

const env = process.env;
if (cluster.isPrimary) {
  for (let i = 0; i < Number(env.PEER_PROCESSES); i++) cluster.fork();
} else {
  await serve();
}

async function serve() {
  const { default: fastify } = await import("fastify");
  const { default: jwt } = await import("@fastify/jwt");
  const { default: pg } = await import("pg");
  const pool = new pg.Pool({
    host: env.PEER_DATABASE, user: "peer", database: "taskcell", max: Number(env.PEER_POOL),
    idleTimeoutMillis: 0,
  });
  const app = fastify({ logger: false });
  await app.register(jwt, {
    secret: env.PEER_SECRET,
    sign: { algorithm: "HS256", iss: "taskcell", aud: "taskcell" },
    verify: { algorithms: ["HS256"], allowedIss: "taskcell", allowedAud: "taskcell", cache: 2048 },
  });

  const uuid = { type: "string", format: "uuid" };
  const time = { type: "string", format: "date-time" };
  const task = {
    type: "object",
    properties: {
      id: { type: "string" }, user_id: { type: "string" }, title: { type: "string" },
      description: { type: "string", nullable: true }, completed: { type: "boolean" },
      completed_at: { ...time, nullable: true }, priority: { type: "integer" },
      due_date: { type: "string", nullable: true },
      tags: { type: "array", items: { type: "string" } },
      version: { type: "integer" }, created_at: time, updated_at: time,
    },
  };
  const fields = {
    title: { type: "string", minLength: 1, maxLength: 200 },
    description: { type: "string", nullable: true, maxLength: 10000 },
    completed: { type: "boolean" },
    priority: { type: "integer", minimum: 0, maximum: 3 },
    due_date: { type: "string", nullable: true },
    tags: { type: "array", maxItems: 20, items: { type: "string" } },
  };
  const user = { type: "object", properties: { user_id: uuid }, required: ["user_id"] };
  const one = {
    type: "object", properties: { user_id: uuid, id: uuid }, required: ["user_id", "id"],
  };
  const columns = "id, user_id, title, description, completed, completed_at, priority, due_date," +
    " tags, version, created_at, updated_at";

  const run = (name, text, values) => pool.query({ name, text, values });
  const caller = async (request, reply) => {
    try {
      await request.jwtVerify();
    } catch {
      return reply.code(401).header("WWW-Authenticate", "Bearer").send({ detail: "invalid token" });
    }
    if (request.user.sub !== request.params.user_id)
      return reply.code(403).send({ detail: "not yours" });
  };
  const missing = (reply) => reply.code(404).send({ detail: "no such task" });

  app.get("/api/:user_id/tasks", {
    onRequest: caller,
    schema: {
      params: user,
      querystring: { type: "object", properties: { limit: { type: "integer", default: 100 } } },
      response: { 200: { type: "array", items: task } },
    },
  }, async (request) => (await run("list",
    `select ${columns} from taskcell.tasks where user_id = $1
      order by created_at desc, id desc limit $2`,
    [request.params.user_id, request.query.limit])).rows);

  app.get("/api/:user_id/tasks/:id", {
    onRequest: caller, schema: { params: one, response: { 200: task } },
  }, async (request, reply) => {
    const { rows } = await run("get",
      `select ${columns} from taskcell.tasks where user_id = $1 and id = $2`,
      [request.params.user_id, request.params.id]);
    return rows[0] ?? missing(reply);
  });

  app.post("/api/:user_id/tasks", {
    onRequest: caller,
    schema: {
      params: user, response: { 201: task },
      body: {
        type: "object", properties: fields, required: ["title"], additionalProperties: false,
      },
    },
  }, async (request, reply) => {
    const b = request.body;
    const { rows } = await run("create",
      `insert into taskcell.tasks (user_id, id, title, description, completed, completed_at,
                                   priority, due_date, due_at, tags, version)
       values ($1, $2, $3, $4, $5, case when $5 then now() end, $6, $7,
               coalesce($7::text::timestamptz, 'infinity'), $8, 1)
       returning ${columns}`,
      [request.params.user_id, randomUUID(), b.title, b.description ?? null, b.completed ?? false,
        b.priority ?? 0, b.due_date ?? null, b.tags ?? []]);
    reply.code(201).header("Location", `/api/${rows[0].user_id}/tasks/${rows[0].id}`);
    return rows[0];
  });

  app.patch("/api/:user_id/tasks/:id", {
    onRequest: caller,
    schema: {
      params: one, response: { 200: task },
      body: { type: "object", properties: fields, additionalProperties: false },
    },
  }, async (request, reply) => {
    const b = request.body;
    const { rows } = await run("patch",
      `update taskcell.tasks
          set title = coalesce($3, title),
              description = case when $4 then $5 else description end,
              completed = coalesce($6, completed),
              completed_at = case when $6 then now() when not $6 then null else completed_at end,
              priority = coalesce($7, priority),
              due_date = case when $8 then $9 else due_date end,
              due_at = case when $8 then coalesce($9::text::timestamptz, 'infinity')
                       else due_at end,
              tags = coalesce($10, tags), version = version + 1, updated_at = now()
        where user_id = $1 and id = $2 returning ${columns}`,
      [request.params.user_id, request.params.id, b.title, "description" in b, b.description,
        b.completed, b.priority, "due_date" in b, b.due_date, b.tags]);
    return rows[0] ?? missing(reply);
  });

  // The next counter of the session, if this was the current one.
  app.post("/api/auth/refresh", {
    schema: {
      body: {
        type: "object", properties: { refresh_token: { type: "string" } },
        required: ["refresh_token"],
      },
    },
  }, async (request, reply) => {
    let c;
    try {
      c = app.jwt.verify(request.body.refresh_token);
    } catch {
      return reply.code(401).send({ detail: "invalid token" });
    }
    const { rows } = await run("refresh",
      `update taskcell.sessions set counter = counter + 1, rotated_at = now()
        where user_id = $1 and id = $2 and counter = $3 and revoked_at is null
          and expires_at > now() returning counter`, [c.sub, c.sid, c.n]);
    if (!rows.length) return reply.code(401).send({ detail: "used before" });
    const common = { sub: c.sub, sid: c.sid };
    return {
      access_token: app.jwt.sign(common, { expiresIn: 900 }),
      refresh_token: app.jwt.sign({ ...common, n: Number(rows[0].counter) },
        { expiresIn: 14 * 86400 }),
      token_type: "bearer", expires_in: 900,
    };
  });

  await app.listen({ host: "127.0.0.1", port: Number(env.PEER_PORT), backlog: 4096 });
}
