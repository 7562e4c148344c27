import { plain } from './cases.ts';
import { wholeLives } from './whole-life.ts';

wholeLives(plain);
