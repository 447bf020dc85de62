// Makes a database of Better Auth with the package itself: its own migrations, and sign-ups through
// its own interface. Reads {"options": {}, "users": [{"name", "email", "password"}]} from standard
// input, and prints the new ids, a line each.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto; // of Node 18
process.env.BETTER_AUTH_TELEMETRY = "0";

const { betterAuth } = await import("better-auth");
const { getMigrations } = await import("better-auth/db");
const { default: pg } = await import("pg");
const { text } = await import("node:stream/consumers");

const { options, users } = JSON.parse(await text(process.stdin));
const pool = new pg.Pool({ connectionString: process.env.BETTER_AUTH_DATABASE_URL });
const auth = betterAuth({
  baseURL: "http://127.0.0.1:9",
  secret: "of a test, and of nothing else: 0123456789",
  database: pool,
  emailAndPassword: { enabled: true },
  ...options,
});

await (await getMigrations(auth.options)).runMigrations();
for (const body of users) {
  const { user } = await auth.api.signUpEmail({ body });
  console.log(user.id);
}
await pool.end();
