/** Makes everything that is made from other files, one after the other; with `--check` it only compares. */
await import('./types.ts');
await import('./chart.ts');
await import('./values-table.ts');
await import('./dashboard.ts');
await import('./runbook.ts');
await import('./reference.ts');
await import('./argo-cd.ts');
