import { argv, stdout } from 'node:process';
import { serveCompletion } from '../../src/docs/completion-reply.ts';
import { sampleLookup, sampleProgram } from './sample.ts';

// What the shells under test find on their PATH: the program, as far as TAB is concerned.
stdout.write(await serveCompletion(sampleProgram(), argv.slice(3), sampleLookup));
