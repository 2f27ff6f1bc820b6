// A provider as somebody else would run it: oidc-provider with its own sign-in pages, told by
// configuration alone what Smart Gansu's services expect of a token.
//
//   node server.mjs ‹port›

import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const signing = { ...privateKey.export({ format: "jwk" }), kid: "theirs", use: "sig", alg: "ES256" };

const provider = new Provider(issuer, {
  jwks: { keys: [signing] },
  cookies: { keys: ["a key of this test alone"] },
  clients: [
    {
      client_id: "gansu-app",
      application_type: "native",
      token_endpoint_auth_method: "none",
      redirect_uris: ["cn.gansu.app:/signed-in"],
      grant_types: ["authorization_code"],
      response_types: ["code"],
      id_token_signed_response_alg: "ES256",
    },
  ],
  pkce: { required: () => true },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: () => ({ roles: ["citizen"] }),
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "urn:gansu:commerce",
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        audience: "commerce",
        scope: "orders:read orders:write",
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});

provider.listen(port, "127.0.0.1", () => console.log("ready"));
