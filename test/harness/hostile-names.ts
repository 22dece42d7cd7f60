/** Names that end comments, strings or lines, or are code, in one of the languages configurations are written in. */
export const HOSTILE_NAMES: readonly string[] = [
  'a"; return 200; #',
  "x'; } server { listen 1; }",
  '{{ env "PATH" }}{{ printf "a\\n" }}',
  'a\nreturn 200;\r\nrespond 200\n',
  '{$HOME}{env.HOME} {http.request.host}',
  '`id` $(id) ${HOME} $$x',
  '%[env(HOME)] \\',
  '---\nkind: Secret\n...',
  'a: &x [*x, {b: !!js/function "x"}] # "',
  '*/ --> ]]> <!-- \u2028\u2029\u0085\u0000x',
];
