import { describe, expect, test } from '@jest/globals';
import {
  apiVersionOf,
  collectionPath,
  deployments,
  keyOf,
  namespaces,
  objectPath,
  pods,
  refOf,
  schemaChanges,
} from '../../../src/kube/resources.ts';

describe('paths', () => {
  test.each([
    [collectionPath(pods), '/api/v1/pods'],
    [collectionPath(pods, 'shop'), '/api/v1/namespaces/shop/pods'],
    [collectionPath(deployments, 'shop'), '/apis/apps/v1/namespaces/shop/deployments'],
    [collectionPath(namespaces, 'ignored'), '/api/v1/namespaces'],
    [objectPath({ resource: namespaces, name: 'shop' }), '/api/v1/namespaces/shop'],
    [
      objectPath({ resource: schemaChanges, namespace: 'shop', name: 'a' }, 'status'),
      '/apis/segue.dev/v1alpha1/namespaces/shop/schemachanges/a/status',
    ],
    [objectPath({ resource: pods, namespace: '../x', name: 'a/b' }), '/api/v1/namespaces/..%2Fx/pods/a%2Fb'],
  ])('%s', (path, expected) => {
    expect(path).toBe(expected);
  });

  test('of an object without its name or namespace are refused: they would be those of a collection', () => {
    expect(() => objectPath({ resource: pods, namespace: 'shop', name: '' })).toThrow('without a name');
    expect(() => objectPath({ resource: pods, name: 'a' })).toThrow('without its namespace');
    expect(() => objectPath({ resource: pods, namespace: '', name: 'a' })).toThrow('without its namespace');
    expect(() => objectPath({ resource: namespaces, namespace: 'x', name: 'a' })).toThrow('has no namespace');
  });
});

test('a key and a reference stand for each other', () => {
  const metadata = { name: 'a', uid: 'u', resourceVersion: '1', creationTimestamp: '' };
  expect(keyOf({ metadata: { ...metadata, namespace: 'shop' } })).toBe('shop/a');
  expect(keyOf({ metadata })).toBe('a');
  expect(refOf(pods, 'shop/a')).toEqual({ resource: pods, namespace: 'shop', name: 'a' });
  expect(refOf(namespaces, 'shop')).toEqual({ resource: namespaces, name: 'shop' });
});

test('an apiVersion leaves out the core group', () => {
  expect([apiVersionOf(pods), apiVersionOf(deployments)]).toEqual(['v1', 'apps/v1']);
});
