/** Types are stripped by Node itself, so no transform is needed. */
const project = (name) => ({
  displayName: name,
  rootDir: import.meta.dirname,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  transform: {},
  extensionsToTreatAsEsm: ['.ts'],
  testEnvironment: 'node',
});

export default {
  projects: ['unit', 'database', 'cluster', 'e2e'].map(project),
};
