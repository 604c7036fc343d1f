// The visitor's key and tenant. They stay in this tab: the browser forgets them with it.

const KEY = "wardian.key";
const TENANT = "wardian.tenant";

/** The headers that identify the visitor, as for the API. */
export function headers() {
  const found = {};
  if (key()) found.Authorization = `Bearer ${key()}`;
  if (tenant()) found["Wardian-Tenant"] = tenant();
  return found;
}

export const key = () => sessionStorage.getItem(KEY) ?? "";
export const tenant = () => sessionStorage.getItem(TENANT) ?? "";

export function remember(newKey, newTenant) {
  sessionStorage.setItem(KEY, newKey);
  sessionStorage.setItem(TENANT, newTenant);
}

export function forget() {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(TENANT);
}
