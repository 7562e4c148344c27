import { quoted } from './cases.ts';
import { wholeLives } from './whole-life.ts';

wholeLives(quoted);
