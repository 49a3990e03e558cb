/** Files whose only fault concerns the registry, and the start of its text. */
export const registryFaultCases: [title: string, yaml: string, fault: string][] = [
  [
    'a registry without http',
    'registry:\n  url: registry:8081',
    'registry.url = "registry:8081": is not the http(s) URL of a registry without a name or ' +
      'password in it. Write http:// or https://, host and path, such as ' +
      'https://registry.example:8081 (line 2 of sluice.yaml)',
  ],
  [
    'a URL without scheme',
    'registry: { url: "::" }',
    'registry.url = "::": is not the http(s) URL of a',
  ],
  ['an empty URL', 'registry: { url: "" }', 'registry.url = "": is not the http(s) URL of a'],
  [
    'a URL with a query',
    'registry: { url: "http://a/?b" }',
    'registry.url = "http://a/?b": is not the',
  ],
  [
    'a password in a URL',
    'registry: { url: "https://gw:hunter2@a/b" }',
    'registry.url = "https://[secret]@a/b": is not the http(s) URL of a registry without a name',
  ],
  [
    'a username without password',
    'registry: { username: gw }',
    'registry.username = "gw": is set without registry.passwordFile. Give both to log in at the',
  ],
  [
    'an absent file of certificates',
    'registry: { caFile: absent.pem }',
    'registry.caFile = "absent.pem": does not exist. Name a file that contains the ca and that this',
  ],
]
